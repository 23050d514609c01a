import Glibc

/// The natural logarithm, under a name that the enum cases called `log` do not hide.
func logarithm(_ x: Double) -> Double { log(x) }
