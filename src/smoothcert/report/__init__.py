"""Tables, plots and the published log format.

The plots import matplotlib where they are drawn, so that a table needs nothing but the core dependencies.
"""

from __future__ import annotations

from smoothcert.report.cohen_log import CohenLog, read_cohen_log, write_cohen_log
from smoothcert.report.plots import (
    plot_acr_versus_cost,
    plot_certified_accuracy,
    plot_p_a_distribution,
    plot_zeta_distribution,
    save_figure,
)
from smoothcert.report.tables import Column, Table, cells, to_rich, write_certificates, write_csv, write_parquet

__all__ = [
    "CohenLog",
    "Column",
    "Table",
    "cells",
    "plot_acr_versus_cost",
    "plot_certified_accuracy",
    "plot_p_a_distribution",
    "plot_zeta_distribution",
    "read_cohen_log",
    "save_figure",
    "to_rich",
    "write_certificates",
    "write_cohen_log",
    "write_csv",
    "write_parquet",
]
