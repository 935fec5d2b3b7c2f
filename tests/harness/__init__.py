"""What several kinds of tests share: real servers, real data."""
