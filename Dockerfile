# One image per process of Liangbu: docker build --build-arg SERVICE=intake --tag liangbu/intake:0.1.0 .
# SERVICE: console, intake, eligibility, matching, disbursement, notification or onecard_mock.
FROM python:3.11-slim AS build
ARG SERVICE
RUN test -n "$SERVICE" && python -m venv /opt/venv
WORKDIR /src
COPY pyproject.toml requirements.lock ./
COPY deploy/pins.py deploy/
RUN /opt/venv/bin/python deploy/pins.py "$SERVICE" --no-cache-dir --only-binary :all:

FROM python:3.11-slim
ARG SERVICE
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin liangbu \
    && install --directory --owner liangbu --group liangbu /data /backup
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY libs libs
COPY services services
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LIANGBU_SERVICE=$SERVICE \
    LIANGBU_HOST=0.0.0.0 \
    LIANGBU_DATA_DIR=/data \
    NICEGUI_STORAGE_PATH=/tmp/nicegui
USER 10001:10001
STOPSIGNAL SIGTERM
# A migration instead: python -m libs.common.migrations SERVICE
CMD exec python -m "services.$LIANGBU_SERVICE.main"
