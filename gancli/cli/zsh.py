"""The script that completes in zsh, in place of Typer's, which needs a second tab and loses quotes in values."""

import contextlib

SCRIPT = r"""
#compdef %(prog_name)s

%(complete_func)s() {
  local line value meaning
  local -a offered
  for line in ${(f)"$(env %(autocomplete_var)s=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
      _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" %(prog_name)s)"}; do
    value=${line%%%%$'\t'*}
    meaning=${${line#$value}#$'\t'}
    offered+=("${${value//\\/\\\\}//:/\\:}${meaning:+:$meaning}")
  done
  compset -P '--*='
  if (( $#offered )); then _describe value offered; else _files; fi
}

if [[ $funcstack[1] = _%(prog_name)s ]]; then
  %(complete_func)s  # the first tab loads this file
fi
compdef %(complete_func)s %(prog_name)s
"""
"""A template, as Typer's are. Lines are read as data and never evaluated, since a class may have any name."""


def replace_typers_script() -> None:
    """Let ``--install-completion`` and ``--show-completion`` take `SCRIPT`.

    Typer has no public way to do this; where it keeps its scripts elsewhere, its own is used.
    """
    with contextlib.suppress(ImportError, AttributeError):
        from typer import _completion_shared

        _completion_shared._completion_scripts["zsh"] = SCRIPT
