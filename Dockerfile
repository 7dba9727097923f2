# The images of the functions, one target each:
#   functions  load and publish: two programs and a parsed dbt project
#   duckdb     generate and extract: two programs and libduckdb
#   dbt        transform and audit: two programs, Python and dbt
# cloudbuild.yaml builds them. All are made to run as nobody in particular, on a file system that is only read but for /tmp and
# /home/bgp.

# The manifests with nothing behind them: this stage changes when a dependency does, and with it what is built upon it.
FROM debian:bookworm-slim AS manifests
WORKDIR /src
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock -delete \
 && find */ -name Cargo.toml | while read -r manifest; do \
      folder=$(dirname "$manifest"); \
      for file in src/lib.rs src/main.rs $(sed -n 's/^path = "\(.*\)"/\1/p' "$manifest") \
        $(sed -n '/^\[\[bench\]\]/,/^$/s/^name = "\(.*\)"/benches\/\1.rs/p' "$manifest"); do \
        mkdir -p "$(dirname "$folder/$file")"; echo 'fn main() {}' > "$folder/$file"; \
      done; \
    done

# libduckdb as `./bgp` fetches it: one version, one checksum.
FROM python:3.11-slim-bookworm AS libduckdb
COPY bgp /src/
RUN BGP_CACHE=/duckdb bash /src/bgp libduckdb && mv /duckdb/libduckdb-* /duckdb/lib

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY --from=libduckdb /duckdb/lib /duckdb/lib
ENV DUCKDB_LIB_DIR=/duckdb/lib DUCKDB_INCLUDE_DIR=/duckdb/lib \
    RUSTFLAGS="-C link-arg=-Wl,-rpath,/app/lib" \
    CLOUD="--release --locked --no-default-features --package load --package publish --package transform --package audit --features load/google,publish/google,transform/google,audit/google" \
    SOURCES="--release --locked --no-default-features --package generate --package extract --features generate/google,extract/google"
COPY --from=manifests /src .
RUN cargo build $CLOUD && cargo build $SOURCES
COPY . .
# The empty sources are newer than the real ones.
RUN find . -name '*.rs' -exec touch {} + \
 && cargo build $CLOUD && cargo build $SOURCES \
 && mkdir /out && for program in generate extract load transform audit publish parse-project; do cp target/release/$program /out/; done

# dbt with everything pinned and hashed, without what only its authors need.
FROM python:3.11-slim-bookworm AS dbt-environment
COPY dbt/requirements-bigquery.txt /tmp/
RUN python -m venv /opt/dbt \
 && /opt/dbt/bin/pip install --quiet --disable-pip-version-check uv==0.13.9 \
 && /opt/dbt/bin/uv pip install --quiet --no-cache --python /opt/dbt/bin/python --require-hashes --requirement /tmp/requirements-bigquery.txt \
 && /opt/dbt/bin/uv pip uninstall --quiet --python /opt/dbt/bin/python uv pip setuptools \
 && cd /opt/dbt/lib/python3.11/site-packages \
 && rm -rf pyarrow/include pyarrow/tests pandas/tests \
 && find . -type d -path './numpy/*' -name tests -prune -exec rm -rf {} +

# The dbt project, parsed once for BigQuery: publish plans with it without Python, dbt reads it in a tenth of the time.
FROM dbt-environment AS parsed
COPY pipeline.yaml /app/
COPY dbt /app/dbt
COPY --from=build /out/parse-project /app/
RUN mv "$(dirname "$(BGP_TARGET=bigquery BGP_CONFIG=/app/pipeline.yaml BGP_CACHE=/parsed BGP_PYTHON=/opt/dbt/bin/python /app/parse-project)")" /app/dbt-parsed

FROM gcr.io/distroless/cc-debian12:nonroot AS functions
COPY pipeline.yaml /app/
COPY --from=parsed /app/dbt-parsed/project.json /app/dbt-parsed/
COPY --from=build /out/load /out/publish /app/
ENV BGP_TARGET=bigquery BGP_CONFIG=/app/pipeline.yaml BGP_HOME=/home/bgp BGP_CACHE=/tmp/bgp \
    BGP_DBT_PARSED=/app/dbt-parsed/project.json HOME=/tmp
USER nonroot

FROM gcr.io/distroless/cc-debian12:nonroot AS duckdb
COPY --from=libduckdb /duckdb/lib /app/lib
COPY pipeline.yaml /app/
COPY --from=build /out/generate /out/extract /app/
ENV BGP_TARGET=bigquery BGP_CONFIG=/app/pipeline.yaml BGP_HOME=/home/bgp BGP_CACHE=/tmp/bgp HOME=/tmp
USER nonroot

FROM python:3.11-slim-bookworm AS dbt
RUN useradd --uid 65532 --no-create-home nonroot
COPY --from=dbt-environment /opt/dbt /opt/dbt
COPY pipeline.yaml /app/
COPY dbt /app/dbt
COPY --from=parsed /app/dbt-parsed /app/dbt-parsed
COPY --from=build /out/transform /out/audit /app/
ENV BGP_TARGET=bigquery BGP_CONFIG=/app/pipeline.yaml BGP_HOME=/home/bgp BGP_CACHE=/tmp/bgp \
    BGP_DBT_PARSED=/app/dbt-parsed/project.json BGP_PYTHON=/opt/dbt/bin/python HOME=/tmp
USER nonroot
