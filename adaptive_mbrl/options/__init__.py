"""What each sub-command of `adaptive-mbrl` can be told: the dataclasses are the flags and their help.

Nothing heavy is imported here, so that `adaptive-mbrl --help` answers at once.
"""

from adaptive_mbrl.options.bags import ImportBagOptions
from adaptive_mbrl.options.bench import BenchOptions
from adaptive_mbrl.options.benchmark import BenchmarkOptions, TrainSuiteOptions
from adaptive_mbrl.options.bridge import BridgeOptions, CallOptions, PreflightOptions, SimulatedRobotOptions
from adaptive_mbrl.options.catalog import CompletionOptions, ListOptions, ShowOptions
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
from adaptive_mbrl.options.export import ExportOptions
from adaptive_mbrl.options.files import SchemaOptions, ValidateOptions
from adaptive_mbrl.options.hub import PullOptions, PushOptions
from adaptive_mbrl.options.init import InitOptions
from adaptive_mbrl.options.simulation import (
    CollectOptions,
    DemoOptions,
    DiagnoseOptions,
    EvaluateOptions,
    InfoOptions,
    ReplayOptions,
)
from adaptive_mbrl.options.streams import FoxgloveLayoutOptions, FoxgloveStreamOptions, RerunExportOptions, RerunStreamOptions
from adaptive_mbrl.options.sweep import SweepOptions
from adaptive_mbrl.options.training import (
    CompareOptions,
    FineTuneOptions,
    ReportOptions,
    RunsOptions,
    TrainBaselineOptions,
    TrainOptions,
)
from adaptive_mbrl.options.viewing import ViewOptions

__all__ = [
    "BenchOptions",
    "BenchmarkOptions",
    "BridgeOptions",
    "CallOptions",
    "CollectOptions",
    "CompareOptions",
    "CompletionOptions",
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
    "ExportOptions",
    "FineTuneOptions",
    "FoxgloveLayoutOptions",
    "FoxgloveStreamOptions",
    "ImportBagOptions",
    "InfoOptions",
    "InitOptions",
    "ListOptions",
    "PreflightOptions",
    "PullOptions",
    "PushOptions",
    "ReplayOptions",
    "ReportOptions",
    "RerunExportOptions",
    "RerunStreamOptions",
    "RunsOptions",
    "SchemaOptions",
    "ShowOptions",
    "SimulatedRobotOptions",
    "SweepOptions",
    "TrainBaselineOptions",
    "TrainOptions",
    "TrainSuiteOptions",
    "ValidateOptions",
    "ViewOptions",
]
