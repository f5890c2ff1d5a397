from libs.common.migrations import run
from services.notification.tables import metadata

run(metadata)
