//! Pure mapping rules: a table compiled once into a plan, and the plan applied to a record. No I/O.
