# Loaded by PERL5OPT for a run with line_buffered: what is printed to stdout is not kept back.
package RuncastLineBuffered;
$| = 1;
1;
