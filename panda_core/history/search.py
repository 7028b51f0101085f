"""Questions to the history as SQL. Whatever a person types is a value, never a part of the statement."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from panda_core.history.records import MarkFilter, Query, Statistics, fold, legible
from panda_core.history.tables import InspectionRow, MarkRow

_DIGITS = re.compile(r"[0-9a-f]{8,64}")


def current() -> Select[InspectionRow, MarkRow]:
    """Inspections that are not deleted, each with its latest mark: None without one, a mark of None where it was taken back."""
    latest = select(func.max(MarkRow.id)).where(MarkRow.inspection_id == InspectionRow.id).correlate(InspectionRow).scalar_subquery()
    return select(InspectionRow, MarkRow).outerjoin(MarkRow, MarkRow.id == latest).where(InspectionRow.deleted.is_(None))


def found_by(query: Query) -> Select[InspectionRow, MarkRow]:
    """All entries a query finds, in its order; ties in the order of time."""
    statement = current().where(*_conditions(query))
    order: dict[str, tuple[Any, ...]] = {
        "newest": (InspectionRow.created.desc(), InspectionRow.id.desc()),
        "oldest": (InspectionRow.created, InspectionRow.id),
        "highest": (InspectionRow.score.desc(), InspectionRow.id.desc()),
        "lowest": (InspectionRow.score, InspectionRow.id.desc()),
        "name": (InspectionRow.searched, InspectionRow.id.desc()),
    }
    return statement.order_by(*order[query.order])


def marked(model: str | None) -> Select[InspectionRow, MarkRow]:
    """Entries of a model (None: any) that carry a mark, oldest mark first."""
    statement = current().where(MarkRow.mark.is_not(None)).order_by(MarkRow.id)
    return statement if model is None else statement.where(InspectionRow.model == legible(model))


def of_image(sha256: str, model: str) -> Select[InspectionRow, MarkRow]:
    """A model's entries of one image: first those that nobody has marked, and last that of the latest word."""
    return current().where(InspectionRow.sha256 == sha256, InspectionRow.model == legible(model)).order_by(MarkRow.id, InspectionRow.id)


def counts(model: str | None) -> Select[*tuple[Any, ...]]:
    """One row with the numbers of `Statistics`, in the order of its fields."""
    rows = current() if model is None else current().where(InspectionRow.model == legible(model))
    columns: list[ColumnElement[int]] = [func.count()]
    columns += [func.count().filter(condition) for condition in (MarkRow.mark == "normal", MarkRow.mark == "anomalous")]
    columns += [func.count().filter(_mark_is(kind)) for kind in ("false alarm", "miss")]
    assert len(columns) == len(Statistics.__dataclass_fields__)
    return rows.with_only_columns(*columns)


def _conditions(query: Query) -> list[ColumnElement[bool]]:
    row = InspectionRow
    wanted: list[ColumnElement[bool] | None] = [
        None if query.model is None else row.model == legible(query.model),
        None if query.verdict is None else row.verdict == query.verdict,
        None if query.mark is None else _mark_is(query.mark),
        None if query.since is None else row.created >= query.since,
        None if query.until is None else row.created < query.until,
        None if query.low is None else row.score >= query.low,
        None if query.high is None else row.score <= query.high,
        *(_holds(word) for word in fold(query.text).split()),
    ]
    return [condition for condition in wanted if condition is not None]


def _holds(word: str) -> ColumnElement[bool]:
    """The word is in the searched text or in the latest note, or begins the SHA-256. autoescape: % and _ mean themselves."""
    places = [InspectionRow.searched.contains(word, autoescape=True), MarkRow.note.icontains(word, autoescape=True)]
    if _DIGITS.fullmatch(word):
        places.append(InspectionRow.sha256.startswith(word))
    return or_(*places)


def _mark_is(kind: MarkFilter | str) -> ColumnElement[bool]:
    conditions: dict[str, ColumnElement[bool]] = {
        "none": MarkRow.mark.is_(None),
        "any": MarkRow.mark.is_not(None),
        "false alarm": and_(InspectionRow.verdict == "anomalous", MarkRow.mark == "normal"),
        "miss": and_(InspectionRow.verdict == "normal", MarkRow.mark == "anomalous"),
    }
    return conditions.get(kind, MarkRow.mark == kind)
