"""The tables, as the newest revision in `migrations` leaves them, and how Python values are written into them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, DateTime, Dialect, Float, ForeignKey, Index, LargeBinary, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class Moment(TypeDecorator[datetime]):
    """A time with its zone; kept as UTC, because SQLite knows no zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Any zone -> UTC without one."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Back to UTC with its zone."""
        return None if value is None else value.replace(tzinfo=UTC)


class FilePath(TypeDecorator[Path]):
    """A path as the bytes the file system uses: names that are not valid Unicode could not be opened again from a text."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Path | None, dialect: Dialect) -> bytes | None:
        """Path -> bytes."""
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Path | None:
        """Bytes -> path."""
        return None if value is None else Path(os.fsdecode(value))


class Base(DeclarativeBase):
    """Parent of the tables. Constraints get names, without which later revisions could not change them."""

    # Double, as SQLAlchemy 2.1 takes float, has another name than the FLOAT that 2.0 writes.
    type_annotation_map: ClassVar[dict[Any, Any]] = {float: Float}
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class InspectionRow(Base):
    """One inspection; `records.Entry` says what the columns mean."""

    __tablename__ = "inspections"
    __table_args__ = (CheckConstraint("verdict IN ('normal', 'anomalous')", name="verdict"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    created: Mapped[datetime] = mapped_column(Moment, index=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(Text)
    searched: Mapped[str] = mapped_column(Text)
    """What the search box looks into, folded by `records.fold`: SQLite itself folds A to Z only."""
    path: Mapped[Path | None] = mapped_column(FilePath)
    kept: Mapped[str | None] = mapped_column(Text, index=True)
    """Of the copy, relative to the folder of copies, with "/"."""
    width: Mapped[int]
    height: Mapped[int]
    model: Mapped[str] = mapped_column(Text, index=True)
    fingerprint: Mapped[str] = mapped_column(Text)
    score: Mapped[float] = mapped_column(index=True)
    gauge: Mapped[float]
    boundary: Mapped[float]
    boundary_kind: Mapped[str] = mapped_column(String(16))
    pixel_threshold: Mapped[float]
    verdict: Mapped[str] = mapped_column(String(16), index=True)
    p_value: Mapped[float]
    regions: Mapped[int]
    errors: Mapped[dict[str, Any]] = mapped_column(JSON)
    contributions: Mapped[dict[str, Any]] = mapped_column(JSON)
    milliseconds: Mapped[float]
    source: Mapped[str] = mapped_column(String(16))
    deleted: Mapped[datetime | None] = mapped_column(Moment, index=True)
    """When a person deleted it; until it is purged it can come back."""


class MarkRow(Base):
    """What a person said of an inspection. The latest row counts; earlier ones stay, and None takes a mark back."""

    __tablename__ = "marks"
    __table_args__ = (
        CheckConstraint("mark IS NULL OR mark IN ('normal', 'anomalous')", name="mark"),
        Index("ix_marks_latest", "inspection_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    inspection_id: Mapped[int] = mapped_column(ForeignKey("inspections.id", ondelete="CASCADE"))
    mark: Mapped[str | None] = mapped_column(String(16))
    who: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(Moment)


class SettingsRow(Base):
    """The settings; one row, or none while nobody has changed them."""

    __tablename__ = "settings"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    retention_days: Mapped[int | None]
    keep_copies: Mapped[bool]
