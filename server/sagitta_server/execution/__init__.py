"""Running SQL: sources, pools, streams, cancellation. The only place that touches a warehouse."""
