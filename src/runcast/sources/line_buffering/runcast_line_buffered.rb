# Loaded by RUBYOPT for a run with line_buffered: what is written to stdout is not kept back.
$stdout.sync = true
