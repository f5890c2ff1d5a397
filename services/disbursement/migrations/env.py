from libs.common.migrations import run
from services.disbursement.tables import metadata

run(metadata)
