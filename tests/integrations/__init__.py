"""The examples of examples/warm_start, run with the real libraries, each under the same contract."""
