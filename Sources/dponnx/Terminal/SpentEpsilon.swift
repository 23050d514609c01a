import DPONNX

/// Epsilon of the steps taken so far, for display.
///
/// Privacy losses take long to compose beside a short step, so the run is cut into forty parts, and what the whole of
/// the present part will have cost is shown: an upper bound, computed at most once per part.
final class SpentEpsilon {
    private let statement: PrivacyStatement
    private let part: Int
    private var known: (steps: Int, epsilon: Double)?

    init(_ statement: PrivacyStatement) {
        self.statement = statement
        part = max(1, statement.mechanism.steps / 40)
    }

    /// An upper bound of what the first `steps` steps cost; nil where nothing is guaranteed.
    func after(_ steps: Int) -> Double? {
        guard statement.isPrivate else { return nil }
        if statement.mechanism.bands != nil { return statement.bound.epsilon }
        let end = (steps + part - 1) / part * part
        if end >= statement.mechanism.steps { return statement.bound.epsilon }
        if let known, known.steps == end { return known.epsilon }
        let event = statement.mechanism.event(steps: end)
        let epsilon = statement.accountant.epsilon(of: [event], delta: statement.bound.delta).epsilon
        known = (end, epsilon)
        return epsilon
    }
}
