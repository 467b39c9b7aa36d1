# Text on stderr goes to the function's log. Text on stdout is its result.
function main_handler() {
  echo "got an event of ${#1} characters" >&2
  echo "Echoing request: '$1'"
}
