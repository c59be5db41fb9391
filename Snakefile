# One rule: an artefact is made from its inputs file, which ./run_all.sh writes and which changes only when the content of
# what the artefact depends on does. The executed notebook is a log, so that it survives a failure; the figures are not
# outputs here, because Snakemake would delete them before the notebook could replace them.
# On a cluster, build/ and figures/ must lie on a file system that all nodes share.
import sys

from companion import artefacts

ROWS = artefacts.read()
MEMORY = {"laptop": 4_000, "paper": 32_000}  # megabytes asked for on a cluster
SLACK = {"laptop": 10, "paper": 200}  # how many times the laptop's minutes a job may take there


def profile(wildcards):
    return wildcards.folder.partition("+")[0]


rule artefact:
    input:
        "build/{folder}/{id}.inputs.json",
    output:
        "build/{folder}/{id}.made.json",
    log:
        "build/{folder}/{id}.ipynb",
    wildcard_constraints:
        folder="[^/]+",
    priority: lambda wildcards: ROWS[wildcards.id].minutes  # the longest first, so that none is left alone at the end
    threads: int(config.get("threads", 1))
    resources:
        gpu=lambda wildcards: int(ROWS[wildcards.id].gpu and int(config.get("gpu", 0))),
        mem_mb=lambda wildcards: MEMORY[profile(wildcards)],
        runtime=lambda wildcards: int(30 + SLACK[profile(wildcards)] * ROWS[wildcards.id].minutes),
    params:
        python=sys.executable,
        device=config.get("device", "auto"),
        retrain="--retrain" if int(config.get("retrain", 0)) else "",
    shell:
        "exec {params.python:q} -m companion.runner.job {input:q} --device {params.device:q} --threads {threads} {params.retrain}"
