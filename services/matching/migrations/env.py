from libs.common.migrations import run
from services.matching.tables import metadata

run(metadata)
