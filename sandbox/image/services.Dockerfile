# What compose.yaml starts besides Qdrant. `move37 sandbox build --services` prepares the context (source/ with the
# project, wheels/ with what the sandbox image does not have) and builds both targets; no step needs a network.
#
#   BASE     the sandbox image's own base: the proxy needs Python and nothing else
#   SANDBOX  the sandbox image, which has torch already
ARG BASE
ARG SANDBOX=move37-sandbox:cpu

FROM ${BASE} AS proxy
COPY wheels/structlog-*.whl wheels/typing_extensions-*.whl /srv/wheels/
COPY source/move37/__init__.py /srv/move37/move37/
COPY source/move37/sandbox /srv/move37/move37/sandbox
# A wheel is a zip archive that Python can import from.
ENV PYTHONPATH=/srv/move37:/srv/site PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN mkdir /srv/site \
 && for wheel in /srv/wheels/*.whl; do python3 -m zipfile -e "$wheel" /srv/site; done \
 && rm -r /srv/wheels
EXPOSE 2375
ENTRYPOINT ["python3", "-m", "move37.sandbox.proxy.server"]

FROM ${SANDBOX} AS packages
USER 0:0
COPY wheels /wheels
COPY dependencies.txt constraints.txt /
# An environment beside the sandbox's, which sees what is installed there.
RUN /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin python3 -m venv /srv/env \
 && /srv/env/bin/python -m pip uninstall --yes setuptools \
 && ls -d /opt/move37/lib/python3*/site-packages > "$(ls -d /srv/env/lib/python3*/site-packages)/sandbox.pth" \
 && /srv/env/bin/python -m pip install --no-cache-dir --no-index --find-links /wheels \
        --constraint /constraints.txt --requirement /dependencies.txt \
 && /srv/env/bin/python -m pip install --no-cache-dir --no-index --find-links /wheels --no-deps --ignore-installed sympy

FROM ${SANDBOX} AS worker
USER 0:0
COPY --from=packages /srv/env /srv/env
COPY source /srv/move37
RUN mkdir /data && chown 65534:65534 /data
ENV PATH=/srv/env/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/srv/move37 \
    MOVE37_HOME=/data/home \
    HOME=/data \
    HF_HUB_OFFLINE=1
USER 65534:65534
WORKDIR /data
VOLUME /data
ENTRYPOINT ["python", "-m", "move37"]
CMD ["run"]
