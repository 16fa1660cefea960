"""Names the cause of a divergence and the fix: findings from runs, traces and models on disk; no board, no toolkit."""
