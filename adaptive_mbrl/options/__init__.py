"""What each sub-command of `adaptive-mbrl` can be told: the dataclasses are the flags and their help.

Nothing heavy is imported here, so that `adaptive-mbrl --help` answers at once.
"""

from adaptive_mbrl.options.bags import ImportBagOptions
from adaptive_mbrl.options.benchmark import BenchmarkOptions, TrainSuiteOptions
from adaptive_mbrl.options.bridge import BridgeOptions, CallOptions, PreflightOptions, SimulatedRobotOptions
from adaptive_mbrl.options.data import (
    DataCheckOptions,
    DataExportLeRobotOptions,
    DataExportMinariOptions,
    DataImportLeRobotOptions,
    DataImportMinariOptions,
    DataImportOptions,
    DataMergeOptions,
    DataPushOptions,
    DataSplitOptions,
    DataStatsOptions,
)
from adaptive_mbrl.options.simulation import (
    CollectOptions,
    DemoOptions,
    DiagnoseOptions,
    EvaluateOptions,
    InfoOptions,
    ReplayOptions,
)
from adaptive_mbrl.options.sweep import SweepOptions
from adaptive_mbrl.options.training import (
    CompareOptions,
    FineTuneOptions,
    ReportOptions,
    RunsOptions,
    TrainBaselineOptions,
    TrainOptions,
)

__all__ = [
    "BenchmarkOptions",
    "BridgeOptions",
    "CallOptions",
    "CollectOptions",
    "CompareOptions",
    "DataCheckOptions",
    "DataExportLeRobotOptions",
    "DataExportMinariOptions",
    "DataImportLeRobotOptions",
    "DataImportMinariOptions",
    "DataImportOptions",
    "DataMergeOptions",
    "DataPushOptions",
    "DataSplitOptions",
    "DataStatsOptions",
    "DemoOptions",
    "DiagnoseOptions",
    "EvaluateOptions",
    "FineTuneOptions",
    "ImportBagOptions",
    "InfoOptions",
    "PreflightOptions",
    "ReplayOptions",
    "ReportOptions",
    "RunsOptions",
    "SimulatedRobotOptions",
    "SweepOptions",
    "TrainBaselineOptions",
    "TrainOptions",
    "TrainSuiteOptions",
]
