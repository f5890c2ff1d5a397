from libs.common.migrations import run
from services.eligibility.tables import metadata

run(metadata)
