"""What a search may try: every option that declares ``tune`` values, what ``--search`` lists, and the covariates."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tsforecast.conditions import obstacles
from tsforecast.config import Facts, Settings, checked, coerce, described, effective, make
from tsforecast.errors import UsageError, did_you_mean
from tsforecast.lag_sets import parse_delays
from tsforecast.options import ColumnOptions, FitOptions
from tsforecast.registry import MODELS, TRAINERS

Candidate = dict[str, Any]
Searches = Mapping[str, Sequence[str]]

COVARIATES = ("past", "future", "calendar")
SEARCHABLE = ("model", "trainer", "lags", "scaler", "normalize", "transform", "loss", "patience")
"""Of the options that are of no model or trainer; the others say what is judged, or where and how long."""


@dataclass(frozen=True)
class Setting:
    """One setting with the values that a search chooses from.

    Attributes:
        name: As on the command line: ``lags``, ``model.hidden``, ``past.temperature``.
        values: The default comes first, or what the user lists.
        owners: Models (of ``model.x``) or trainers (of ``trainer.x``) that have it; empty for all.
    """

    name: str
    values: tuple[Any, ...]
    owners: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Space:
    """All candidates: a genome has one number per setting, which picks a value, also where it does not count.

    Attributes:
        settings: ``model`` and ``trainer``, if they are searched, come first.
        model: The model where it is not searched.
        trainer: The trainer where it is not searched; "" for each model's own.
        fixed: Options of model and trainer that are not searched, as ``model.x``.
    """

    settings: tuple[Setting, ...]
    model: str
    trainer: str
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def candidate(self, genome: Sequence[int]) -> Candidate:
        """Return the settings that count in a genome: of the model and trainer that it picks, those with an effect."""
        found: Candidate = {}
        for setting, gene in zip(self.settings, genome, strict=True):
            if not setting.owners or setting.owners & set(self.procedures(found)):
                found[setting.name] = setting.values[gene]
        model, trainer = self.procedures(found)
        counting = {name for name in found if name.partition(".")[0] not in ("model", "trainer") or "." not in name}
        for section, cls in (("model", MODELS.get(model).Config), ("trainer", TRAINERS.get(trainer).Config)):
            start = f"{section}."
            said = {k.removeprefix(start): v for k, v in {**self.fixed, **found}.items() if k.startswith(start)}
            counting |= {start + name for name in effective(cls, said, section)}
        return {name: value for name, value in found.items() if name in counting}

    def procedures(self, candidate: Mapping[str, Any]) -> tuple[str, str]:
        """Return the model and the trainer of a candidate."""
        model = candidate.get("model", self.model)
        return model, candidate.get("trainer") or self.trainer or MODELS.get(model).trainer

    @property
    def defaults(self) -> list[list[int]]:
        """One genome per model, with every other setting at its default."""
        genome = [0] * len(self.settings)
        if not self.settings or self.settings[0].name != "model":
            return [genome]
        return [[gene, *genome[1:]] for gene in range(len(self.settings[0].values))]

    @property
    def longest_lags(self) -> int:
        """The most lags that a candidate can have; 0 when they are not searched."""
        return max((parse_delays(v)[-1] for s in self.settings if s.name == "lags" for v in s.values), default=0)


def parse_searches(pairs: Sequence[str], models: Sequence[str]) -> dict[str, list[str]]:
    """Read ``--search model.hidden=8,16``; with a ``|`` between values they may hold commas: ``lags=24|1:6,24``.

    Args:
        pairs: What was said.
        models: What ``--models`` lists, short for ``--search model=...``.

    Raises:
        UsageError: Not of the form ``NAME=VALUE,VALUE``.
    """
    found: dict[str, list[str]] = {"model": list(models)} if models else {}
    for pair in pairs:
        name, equals, values = pair.partition("=")
        if not (equals and name.strip()):
            hint = "write --search model.hidden=8,16,32 or --search 'lags=24|1:6,24'"
            raise UsageError(f"--search {pair}: not understood", hint=hint)
        if name.strip() in found:
            raise UsageError(f"--search {name.strip()} is said twice", hint="list all values in one")
        found[name.strip()] = [v.strip() for v in values.split("|" if "|" in values else ",")]
    return found


def make_space(settings: Settings, columns: ColumnOptions, searches: Searches, facts: Facts, lags: int) -> Space:
    """Collect the settings to search: not those that the user has fixed.

    Args:
        settings: What the user has said; fixed, unless ``searches`` lists it.
        columns: Each of their covariates may be in or out.
        searches: Texts of the values by setting, from :func:`parse_searches`.
        facts: Of the data.
        lags: The default.

    Raises:
        UsageError: A setting that does not exist, is fixed on the command line, or cannot be searched.
    """
    _check(settings, columns, searches)
    options = settings.build(FitOptions)
    general: list[Setting] = []
    resolved = {"lags": (str(lags),), "normalize": ()}  # in place of the default, which leaves the choice to the data
    for name, values in _of(FitOptions, "", settings.top, searches, facts):
        if name in SEARCHABLE:
            tried = (*resolved[name], *values[1:]) if name in resolved and name not in searches else values
            general.append(Setting(name, tuple(dict.fromkeys(tried))))
    general.sort(key=lambda setting: SEARCHABLE.index(setting.name))
    for role in COVARIATES:
        for column in getattr(columns, role):
            name = f"{role}.{column}"
            said = tuple(coerce(bool, text, name) for text in searches.get(name, ()))
            general.append(Setting(name, said or (True, False)))
    chosen = {setting.name: setting.values for setting in general}
    models = chosen.get("model", (options.model,))
    trainers = {
        name or MODELS.get(model).trainer for model in models for name in chosen.get("trainer", (options.trainer,))
    }
    owned = [
        *_owned("model", models, MODELS.get, settings.model, searches, facts),
        *_owned("trainer", sorted(trainers), TRAINERS.get, settings.trainer, searches, facts),
    ]
    fixed = {f"model.{name}": value for name, value in settings.model.items()}
    fixed |= {f"trainer.{name}": value for name, value in settings.trainer.items()}
    return Space((*general, *owned), options.model, options.trainer, fixed)


def _of(
    cls: type, section: str, fixed: Mapping[str, Any], searches: Searches, facts: Facts
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield the options of a dataclass that are searched and can have an effect, each with its values."""
    tried = _tried(cls, section, fixed, searches, facts)
    for name, *_ in described(cls):
        full = f"{section}.{name}" if section else name
        if full in searches or name not in fixed:
            values = tried(name)
            if (full in searches or len(values) > 1) and not obstacles(cls, name, tried):
                yield full, values


def _tried(
    cls: type, section: str, fixed: Mapping[str, Any], searches: Searches, facts: Facts
) -> Callable[[str], tuple[Any, ...]]:
    """Return from an option of a dataclass to the values that it has among the candidates."""
    options = {name: (default, metadata["tune"]) for name, _, default, metadata in described(cls)}

    def values(name: str) -> tuple[Any, ...]:
        full = f"{section}.{name}" if section else name
        if full in searches or name in fixed:
            said = searches[full] if full in searches else [fixed[name]]
            return tuple(dict.fromkeys(checked(cls, {name: v}, section)[name] for v in said))
        default, tune = options[name]
        return tuple(dict.fromkeys((default, *(tune(facts) if callable(tune) else tune))))

    return values


def _owned(
    section: str,
    owners: Sequence[str],
    get: Callable[[str], Any],
    fixed: Mapping[str, Any],
    searches: Searches,
    facts: Facts,
) -> list[Setting]:
    """Return the settings of all models, or of all trainers; those with the same values share one gene.

    Raises:
        UsageError: A setting that none of them has.
    """
    found: dict[tuple[str, tuple[Any, ...]], set[str]] = {}
    known: set[str] = set()
    classes = {owner: get(owner).Config for owner in owners}
    for owner, cls in classes.items():
        known |= {f"{section}.{field.name}" for field in dataclasses.fields(cls)}
        for row in _of(cls, section, fixed, searches, facts):
            found.setdefault(row, set()).add(owner)
    for name in [*(f"{section}.{n}" for n in fixed), *(n for n in searches if n.startswith(f"{section}."))]:
        if name not in known:
            raise UsageError(f"'{name}': no such option of {', '.join(owners)}", hint=did_you_mean(name, known))
        _refuse_idle(name.partition(".")[2], section, list(classes.values()), fixed, searches, facts)
    return [Setting(name, values, frozenset(names)) for (name, values), names in found.items()]


def _refuse_idle(
    name: str, section: str, classes: Sequence[type], fixed: Mapping[str, Any], searches: Searches, facts: Facts
) -> None:
    """Refuse an option of model or trainer that has no effect in any candidate, unless it is left at its default."""
    reasons = []
    for cls in classes:
        defaults = {f.name: f.default for f in dataclasses.fields(cls)}
        if name in defaults:
            tried = _tried(cls, section, fixed, searches, facts)
            found = obstacles(cls, name, tried)
            if not found:
                return
            said = [value for value in tried(name) if value != defaults[name]]
            reasons += [(cls, {name: value, **{other: tried(other)[0] for other in found}}) for value in said]
    for cls, values in reasons:
        make(cls, values, section)


def _check(settings: Settings, columns: ColumnOptions, searches: Searches) -> None:
    """Refuse a search of what does not exist, is fixed on the command line, or would change what is judged."""
    roles = [f"{role}.{column}" for role in COVARIATES for column in getattr(columns, role)]
    for name, values in searches.items():
        if not all(values) and name not in ("lags", "trainer") and "." not in name:
            raise UsageError(f"--search {name}: an empty value", hint="write --search NAME=VALUE,VALUE")
        if settings.origins.get(name) in ("command line", "argument"):
            raise UsageError(f"{name} is both fixed and searched", hint=f"leave --{name} or --search {name} away")
        if name in ("model", "trainer"):
            registry = MODELS if name == "model" else TRAINERS
            for value in filter(None, values):  # an empty trainer is each model's own
                registry.check(value)
        section = name.partition(".")[0]
        if name in SEARCHABLE or name in roles or (section in ("model", "trainer") and "." in name):
            continue
        if name in {field.name for field in dataclasses.fields(FitOptions)}:
            hint = f"fix it with --{name.replace('_', '-')}, and search {', '.join(SEARCHABLE)}"
            raise UsageError(f"--search {name}: losses could no longer be compared", hint=hint)
        raise UsageError(f"--search {name}: there is no such setting", hint=did_you_mean(name, [*SEARCHABLE, *roles]))
