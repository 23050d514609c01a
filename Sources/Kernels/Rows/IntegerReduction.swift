extension Rows {
    /// out = the reduction of integers over `axes`, wrapping on overflow; the mean truncates toward zero. The other
    /// functions have no integer form in ONNX's shape arithmetic and are a caller's bug. Serial: integers here
    /// are shapes and indices.
    public static func reduce(
        _ function: ReductionFunction, _ x: UnsafePointer<Int64>, shape: [Int], axes: Set<Int>,
        into out: UnsafeMutablePointer<Int64>
    ) {
        let plan = ReductionPlan(shape: shape, axes: axes)
        var kept = plan.kept
        var reduced = plan.reduced
        if plan.reducesRun { reduced.append((plan.run, 1)) } else { kept.append((plan.run, 1)) }
        let count = reduced.reduce(1) { $0 * $1.size }
        for output in 0..<kept.reduce(1, { $0 * $1.size }) {
            let base = ReductionPlan.offset(output, kept)
            var total: Int64
            switch function {
            case .max: total = .min
            case .min: total = .max
            case .prod: total = 1
            default: total = 0
            }
            for index in 0..<count {
                let v = x[base + ReductionPlan.offset(index, reduced)]
                switch function {
                case .sum, .mean: total &+= v
                case .max: total = Swift.max(total, v)
                case .min: total = Swift.min(total, v)
                case .prod: total &*= v
                case .sumSquare: total &+= v &* v
                case .l1: total &+= v < 0 ? 0 &- v : v
                default: preconditionFailure("\(function) of integers")
                }
            }
            out[output] = function == .mean && count > 0 ? total / Int64(count) : total
        }
    }
}
