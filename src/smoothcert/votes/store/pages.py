"""How much a Parquet file unpacks to, read from its pages before any is unpacked.

A reader allocates what the header of each page says, and the footer, which is all that libraries let one look at
first, may say less: 50 kB can unpack to gigabytes. So the headers themselves are read here, of the one kind of
page that a cache has.
"""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq

__all__ = ["require_pages"]

# https://parquet.apache.org/docs/file-format/data-pages/, and compact-protocol.md of Apache Thrift.
_DATA_PAGE, _PLAIN = 0, 0
_TYPE, _UNPACKED, _PACKED, _HEADER = 1, 2, 3, 5  # fields of a PageHeader
_VALUES, _ENCODING = 1, 2  # fields of its DataPageHeader
_INTEGERS, _BINARY, _STRUCT = (4, 5, 6), 8, 12  # kinds in Thrift's compact protocol


def require_pages(data: bytes, column: pq.ColumnChunkMetaData, values: int, unpacked: int) -> None:
    """Refuse, by a ValueError, a column of other pages than plain ones with so many values in so many bytes."""
    if column.has_dictionary_page or column.num_values != values:
        raise ValueError(f"column {column.path_in_schema} has {column.num_values} values, {values} expected")
    at, end = column.data_page_offset, column.data_page_offset + column.total_compressed_size
    if not 0 <= at < end <= len(data):
        raise ValueError(f"column {column.path_in_schema} lies outside of the file")
    found = size = 0
    while at < end:
        page, at = _struct(data, at)
        header = page[_HEADER]
        if (page[_TYPE], header[_ENCODING]) != (_DATA_PAGE, _PLAIN) or min(page[_PACKED], page[_UNPACKED]) < 0:
            raise ValueError(f"column {column.path_in_schema} has a page of another kind")
        at += page[_PACKED]
        found += header[_VALUES]
        size += page[_UNPACKED]
    if at != end or found != values or size > unpacked:
        raise ValueError(
            f"column {column.path_in_schema} has {found} values of {size} bytes, {values} of {unpacked} expected"
        )


def _struct(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    """Read a struct of Thrift's compact protocol: its fields by number, and where it ends."""
    fields: dict[int, Any] = {}
    number = 0
    while byte := data[at]:
        at, step, kind = at + 1, byte >> 4, byte & 15
        if not step:
            number, at = _integer(data, at)
        number += step
        if kind in _INTEGERS:
            fields[number], at = _integer(data, at)
        elif kind == _STRUCT:
            fields[number], at = _struct(data, at)
        elif kind == _BINARY:
            length, at = _varint(data, at)
            at += length
        elif kind not in (1, 2):  # a truth value is all in its kind
            raise ValueError(f"a page's header has a field of kind {kind}")
    return fields, at + 1


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("a page's header has a number of more than 64 bits")
