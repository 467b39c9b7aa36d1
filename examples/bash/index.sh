# What goes to stderr is the function's log; what goes to stdout is its result.
function main_handler() {
  echo "got an event of ${#1} characters" >&2
  echo "Echoing request: '$1'"
}
