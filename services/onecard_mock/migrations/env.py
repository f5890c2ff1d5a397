from sqlalchemy import MetaData

from libs.common.migrations import run

run(MetaData())
