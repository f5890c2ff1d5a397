from libs.common.migrations import run
from services.intake.tables import metadata

run(metadata)
