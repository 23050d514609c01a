/// Whether two lists agree up to `tolerance` of the largest magnitude in them.
func agree(_ left: [Double], _ right: [Double], tolerance: Double = 1e-5) -> Bool {
    guard left.count == right.count else { return false }
    let scale = max(1e-3, (left + right).map(\.magnitude).max() ?? 0)
    return zip(left, right).allSatisfy { ($0 - $1).magnitude <= tolerance * scale }
}

func dot(_ left: [Double], _ right: [Double]) -> Double { zip(left, right).reduce(0) { $0 + $1.0 * $1.1 } }
