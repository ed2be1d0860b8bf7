"""What makes each shell ask ecapipe for completions; see `ecapipe.cli.completion`."""

from __future__ import annotations

from typing import Final

_BASH = """\
_ecapipe() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("${line%%$'\\t'*}")
  done < <(_ECAPIPE_COMPLETE=bash "${1/#\\~/$HOME}" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _ecapipe ecapipe
"""

_ZSH = """\
_ecapipe() {
  local line
  local -a spoken values more
  spoken=("${(@Q)words[2,CURRENT]}")
  while IFS= read -r line; do
    if [[ $line == *$'\t'* ]]; then
      values+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    else
      values+=("${line//:/\\:}")
    fi
    [[ $line == *= ]] && more=(-S '')
  done < <(_ECAPIPE_COMPLETE=zsh ${~words[1]} "${spoken[@]}" 2>/dev/null)
  if (( ${#values} )); then _describe ecapipe values "${more[@]}"; else _files; fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i; }
compdef _ecapipe ecapipe
"""

_FISH = """\
function __ecapipe_complete
    set -l words (commandline -opc)
    set -l found (env _ECAPIPE_COMPLETE=fish $words[1] $words[2..-1] (commandline -ct) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete --command ecapipe --no-files --arguments '(__ecapipe_complete)'
"""

_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName ecapipe -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object { if ($null -ne $_.Value) { $_.Value } else { $_.ToString() } })
    $rest = @($words | Select-Object -Skip 1)
    try {
        $env:_ECAPIPE_COMPLETE = 'powershell'
        $env:_ECAPIPE_COMPLETE_WORD = $wordToComplete
        & $words[0] @rest 2>$null | ForEach-Object {
            $value, $help = $_ -split "`t", 2
            if (-not $help) { $help = $value }
            [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
        }
    } finally {
        $env:_ECAPIPE_COMPLETE = $null
        $env:_ECAPIPE_COMPLETE_WORD = $null
    }
}
"""

SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "powershell": _POWERSHELL}
