# One image for every part of the deployment: docker-compose.yml chooses the command.

FROM python:3.12-slim AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/venv
RUN pip install --no-cache-dir "uv>=0.9,<1" && uv venv /opt/venv
WORKDIR /src
# The dependencies are a layer of their own: a change of our code does not install them again.
COPY pyproject.toml constraints.txt ./
# For Celery: --build-arg EXTRAS="--extra production --extra celery"
ARG EXTRAS="--extra production"
RUN uv pip install --no-cache --no-build --constraint constraints.txt ${EXTRAS} --requirement pyproject.toml
COPY README.md ./
COPY include/ include/
RUN uv pip install --no-cache --no-deps --constraint constraints.txt .

FROM python:3.12-slim
RUN useradd --create-home --uid 50000 airflow \
    && install -d -o airflow -g airflow /opt/airflow /opt/airflow/logs /var/lib/loyalty
COPY --from=build /opt/venv /opt/venv
COPY dags/ /opt/airflow/dags/
COPY plugins/ /opt/airflow/plugins/
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/airflow/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/airflow/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=false \
    LOYALTY_HOME=/var/lib/loyalty
WORKDIR /opt/airflow
USER airflow
CMD ["airflow", "version"]
