"""Experiment configs: their fields, reading them from YAML, and their JSON Schema."""

from ctxbench.config.components import ComponentConfig, named
from ctxbench.config.experiment import ExperimentConfig, LimitConfig, RunConfig, TokenConfig, hash_of
from ctxbench.config.loading import apply_overrides, load_config, make_config, parse_component, parse_config, read_text, read_yaml
from ctxbench.config.schema import json_schema
from ctxbench.config.template import Template
from ctxbench.config.values import Bucket, Component, Section, setting

__all__ = [
    "Bucket",
    "Component",
    "ComponentConfig",
    "ExperimentConfig",
    "LimitConfig",
    "RunConfig",
    "Section",
    "Template",
    "TokenConfig",
    "apply_overrides",
    "hash_of",
    "json_schema",
    "load_config",
    "make_config",
    "named",
    "parse_component",
    "parse_config",
    "read_text",
    "read_yaml",
    "setting",
]
