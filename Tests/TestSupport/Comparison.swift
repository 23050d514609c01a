/// The greatest difference between two lists, as a share of the greatest magnitude in `expected`; infinite if they
/// differ in length or hold what is not finite.
public func relativeError(_ actual: [Double], _ expected: [Double], floor: Double = 1e-6) -> Double {
    guard actual.count == expected.count, (actual + expected).allSatisfy(\.isFinite) else { return .infinity }
    let scale = max(floor, expected.map(\.magnitude).max() ?? 0)
    return (zip(actual, expected).map { ($0 - $1).magnitude }.max() ?? 0) / scale
}

/// The l2 norm of all elements.
public func norm(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
