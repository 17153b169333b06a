import click
@click.command("frontier")
def command(): pass
