"""How a table is declared: a schema with words and units, its DuckDB types, and the makers of its columns.

The tables themselves are `schemas.py`.
"""

from dataclasses import dataclass

import pyarrow as pa

SCHEMA_VERSION = 3
"""Raised by one with each change of a column's name, type, position or description.

A DuckDB file of another version is built anew from the parquet files; `evolution.py` rewrites those of older days.
"""

TIMESTAMP = pa.timestamp("us", "UTC")
TEXTS = pa.list_(pa.string())
CODED = pa.dictionary(pa.int32(), pa.string())
"""Each text once in a dictionary, and its index for each row."""

_DUCKDB_TYPES: dict[pa.DataType, str] = {
    pa.bool_(): "BOOLEAN",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.date32(): "DATE",
    TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
    TEXTS: "VARCHAR[]",
}


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One table. `arrow` holds its columns; each field's metadata has `description` and, where apt, `unit`.

    `primary_key` names the columns that together are unique and never NULL.
    """

    name: str
    description: str
    primary_key: tuple[str, ...]
    arrow: pa.Schema

    @property
    def parquet_schema(self) -> pa.Schema:
        """The columns of a parquet file: all but `date`, which is in the path."""
        fields = [field for field in self.arrow if field.name != "date"]
        return pa.schema(fields, metadata={"table": self.name, "schema_version": str(SCHEMA_VERSION)})

    def duckdb_ddl(self) -> str:
        columns = ",\n".join(
            f"    {_identifier(field.name)} {duckdb_type(field.type)}{'' if field.nullable else ' NOT NULL'}"
            for field in self.arrow
        )
        return f"CREATE TABLE {_identifier(self.name)} (\n{columns}\n)"

    def duckdb_comments(self) -> list[str]:
        """Return the `COMMENT ON` statements that give the table and its columns their descriptions."""
        table = _identifier(self.name)
        return [
            f"COMMENT ON TABLE {table} IS {_literal(self.description)}",
            *(
                f"COMMENT ON COLUMN {table}.{_identifier(column)} IS {_literal(text)}"
                for column, _, text in self.columns()
            ),
        ]

    def columns(self) -> list[tuple[str, str, str]]:
        """Return (name, DuckDB type, description with its unit) of each column, in order."""
        return [(field.name, duckdb_type(field.type), describe(field)) for field in self.arrow]


def coded(schema: pa.Schema) -> pa.Schema:
    """Return columns with texts as dictionaries, which is how parquet stores them: they are quicker to write."""
    return pa.schema(
        [field.with_type(CODED) if field.type == pa.string() else field for field in schema], metadata=schema.metadata
    )


def duckdb_type(data_type: pa.DataType) -> str:
    return _DUCKDB_TYPES[data_type]


def describe(field: pa.Field) -> str:
    """Return a field's description, its unit in brackets where it has one."""
    metadata: dict[bytes, bytes] = field.metadata or {}
    unit = metadata.get(b"unit")
    return metadata[b"description"].decode() + (f" [{unit.decode()}]" if unit else "")


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def column(name: str, kind: pa.DataType, description: str, unit: str = "", *, key: bool = False) -> pa.Field:
    metadata = {"description": description} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, nullable=not key, metadata=metadata)


def text(name: str, description: str, *, key: bool = False) -> pa.Field:
    return column(name, pa.string(), description, key=key)


def count(name: str, description: str, unit: str) -> pa.Field:
    return column(name, pa.int64(), description, unit)


def number(name: str, description: str, unit: str = "") -> pa.Field:
    return column(name, pa.float64(), description, unit)
