"""Backtest: models and baselines on rolling, purged folds, with intervals that respect accounts."""

from __future__ import annotations

from product_affinity.backtest.folds import Fold, plan_folds
from product_affinity.backtest.report import write_report
from product_affinity.backtest.result import BacktestResult
from product_affinity.backtest.run import run_backtest
from product_affinity.backtest.verify import check_folds

__all__ = ["BacktestResult", "Fold", "check_folds", "plan_folds", "run_backtest", "write_report"]
