# One image for the engine and the gateway: `docker run ... sagitta engine`, `... sagitta gateway`.
FROM python:3.13-slim AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY compiler compiler
COPY server server
COPY gateway gateway
COPY protos/gen protos/gen
RUN python -m venv /opt/sagitta \
 && /opt/sagitta/bin/pip install --no-cache-dir --constraint constraints.txt '.[demo,tracing]'

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 sagitta \
 && install -d -o sagitta -g sagitta /data /models
COPY --from=build /opt/sagitta /opt/sagitta
ENV PATH=/opt/sagitta/bin:$PATH PYTHONUNBUFFERED=1 SAGITTA_DATA_DIR=/data
USER sagitta
WORKDIR /data
VOLUME /data
EXPOSE 32010 50051 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["sagitta"]
CMD ["serve", "--help"]
