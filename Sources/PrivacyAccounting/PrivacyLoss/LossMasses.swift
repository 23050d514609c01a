/// A distribution of privacy loss on an evenly spaced grid: `masses[k]` at the loss
/// `offset + (firstIndex + k) * spacing`, and `infinite` at infinity.
struct LossMasses {
    let offset: Double
    let spacing: Double
    private(set) var firstIndex: Int
    private(set) var masses: [Double]
    private(set) var infinite = 0.0

    init(offset: Double, spacing: Double, firstIndex: Int, masses: [Double], infinite: Double = 0) {
        self.offset = offset
        self.spacing = spacing
        self.firstIndex = firstIndex
        self.masses = masses
        self.infinite = infinite
    }

    func loss(at position: Int) -> Double { offset + Double(firstIndex + position) * spacing }

    mutating func scale(by factor: Double) {
        for position in masses.indices { masses[position] *= factor }
        infinite *= factor
    }

    /// Adds masses on the same grid.
    mutating func add(_ other: LossMasses) {
        precondition(offset == other.offset && spacing == other.spacing, "masses of another grid")
        let start = min(firstIndex, other.firstIndex)
        let end = max(firstIndex + masses.count, other.firstIndex + other.masses.count)
        var sum = [Double](repeating: 0, count: end - start)
        for part in [self, other] {
            for (position, mass) in part.masses.enumerated() { sum[part.firstIndex - start + position] += mass }
        }
        firstIndex = start
        masses = sum
        infinite += other.infinite
    }
}

/// The losses of one step when the unit is removed and when it is added.
struct StepLosses {
    var removing: LossMasses
    var adding: LossMasses
}
