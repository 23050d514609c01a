/// A distribution of privacy loss on an evenly spaced grid: `masses[k]` at the loss
/// `offset + (firstIndex + k) * spacing`, and `infinite` at infinity.
struct LossMasses {
    let offset: Double
    let spacing: Double
    let firstIndex: Int
    var masses: [Double]
    var infinite = 0.0

    func loss(at position: Int) -> Double { offset + Double(firstIndex + position) * spacing }
}

/// The losses of one step when the unit is removed and when it is added.
struct StepLosses {
    var removing: LossMasses
    var adding: LossMasses
}
