"""vllm.distributed."""


def cleanup_dist_env_and_memory(shutdown_ray: bool = False) -> None:
    """Nothing is distributed here."""
