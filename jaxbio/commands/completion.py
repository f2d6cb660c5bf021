"""Prints what a shell needs to complete jaxbio's commands, flags and experiments.

eval "$(jaxbio completion)"             # in ~/.bashrc
eval "$(jaxbio completion --shell=zsh)" # in ~/.zshrc, after compinit
"""

import argparse

from jaxbio.commands import experiments
from jaxbio.commands.command_line import Parser, all_flags
from jaxbio.commands.main import COMMANDS, make_parser

_SCRIPT = """\
_jaxbio() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} words=
  if (( COMP_CWORD == 1 )); then
    words="{commands}"
  else
    case ${{COMP_WORDS[1]}} in
{cases}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _jaxbio jaxbio
"""


def options(parser: Parser) -> None:
    """The command's arguments."""
    parser.add_argument("--shell", choices=["bash", "zsh"], default="bash", help="default: bash")


def run(options: argparse.Namespace) -> None:
    """Prints the script."""
    cases = []
    for name in COMMANDS:
        parser = make_parser(name)
        words = [*parser.actions(), *all_flags(parser), *parser.elsewhere]
        if parser.overrides:
            words += experiments.names()
        cases.append(f'      {name}) words="{" ".join(dict.fromkeys(words))}" ;;')
    if options.shell == "zsh":
        print("autoload -U +X bashcompinit && bashcompinit")
    print(_SCRIPT.format(commands=" ".join(COMMANDS), cases="\n".join(cases)))
