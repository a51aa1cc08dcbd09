"""A diagonal decay plus a low-rank change of the state: erasing along one direction, writing along another."""
