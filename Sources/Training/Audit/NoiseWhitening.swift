import PrivacyAccounting

/// Turns what is seen at some coordinates step after step, correlated as a strategy C makes noise, into C times it, in which
/// noise is independent.
struct NoiseWhitening {
    /// Nil where noise is independent as it is.
    let strategy: BandedStrategy?
    /// Values of the last steps, the latest first.
    private var history: [[Double]] = []
    private var row = 0

    init(_ strategy: BandedStrategy?) { self.strategy = strategy }

    /// - Parameter values: of the next step, as many in every call.
    mutating func next(_ values: [Double]) -> [Double] {
        guard let strategy else { return values }
        history.insert(values, at: 0)
        if history.count > strategy.diagonals.count { history.removeLast() }
        defer { row += 1 }
        var result = [Double](repeating: 0, count: values.count)
        for (lag, earlier) in history.enumerated() {
            let entry = strategy.entry(row: row, lag: lag)
            for index in result.indices { result[index] += entry * earlier[index] }
        }
        return result
    }
}
