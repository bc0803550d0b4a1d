# adaptive-mbrl in a container; docs/container.md says how to use it and how it was checked.
#
#     docker build --tag adaptive-mbrl .
#     docker build --tag adaptive-mbrl:cuda --build-arg TORCH_INDEX=https://pypi.org/simple .

FROM debian:12-slim AS build

# Beside PyPI, torch is looked for here: this index has builds for the CPU alone, which are some gigabytes smaller. PyPI's own need CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# Extras of pyproject.toml, separated by commas.
ARG EXTRAS=bridge,hub

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/adaptive-mbrl
ENV PATH=/opt/adaptive-mbrl/bin:$PATH

WORKDIR /source
# torch alone in a layer: it is large, and stays as it is when the sources change
COPY constraints.txt ./
RUN pip install --no-cache-dir --constraint constraints.txt --extra-index-url "$TORCH_INDEX" torch
COPY pyproject.toml README.md LICENSE ./
COPY adaptive_mbrl adaptive_mbrl
COPY sim sim
COPY robot_bridge robot_bridge
COPY configs configs
RUN pip install --no-cache-dir --constraint constraints.txt --extra-index-url "$TORCH_INDEX" ".[$EXTRAS]"


FROM debian:12-slim

# libosmesa6 renders videos without a GPU
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 libosmesa6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 robot

COPY --from=build /opt/adaptive-mbrl /opt/adaptive-mbrl
ENV PATH=/opt/adaptive-mbrl/bin:$PATH
USER 1000
WORKDIR /home/robot
# bridge files are named by their path
COPY --chown=1000 configs configs

ENTRYPOINT ["adaptive-mbrl"]
CMD ["--help"]
