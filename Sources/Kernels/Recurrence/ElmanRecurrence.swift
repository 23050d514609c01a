import CVectorKernels

/// What a simple recurrence reads in both directions.
public struct ElmanInputs {
    /// R [H, H].
    public var weights: UnsafePointer<Float>
    /// Steps of each sequence [N]; all where absent.
    public var lengths: UnsafePointer<Int64>?
    /// h_0 [N, H], zero where absent.
    public var hidden: UnsafePointer<Float>?

    public init(
        weights: UnsafePointer<Float>, lengths: UnsafePointer<Int64>? = nil, hidden: UnsafePointer<Float>? = nil
    ) {
        self.weights = weights
        self.lengths = lengths
        self.hidden = hidden
    }
}

/// Floats of scratch memory for `elman` and `elmanGradient`.
public func elmanScratchCount(_ shape: RecurrentShape, threads: Int) -> Int {
    let n = shape.hidden
    return shape.sequences * shape.spacing(n) + 2 * threads * n + PackedMatrix.count(depth: n, columns: n)
}

/// h = f(x W^T + b + h' R^T) for every step (Elman 1990), sequences in parallel.
///
/// - Parameters:
///   - projections: x W^T + b, [N, T, H].
///   - gates: what f is taken of, [N, T, H]; may be `projections`. Undefined behind the end of a sequence.
///   - output: h_t [N, T, H], zero behind the end of a sequence.
///   - lastHidden: h [N, H] after the last step of each sequence.
public func elman(
    _ activation: RecurrentActivation, _ shape: RecurrentShape, _ inputs: ElmanInputs,
    projections: UnsafePointer<Float>, gates: UnsafeMutablePointer<Float>, output: UnsafeMutablePointer<Float>,
    lastHidden: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    let (n, steps) = (shape.hidden, shape.steps)
    let weights = PackedMatrix(inputs.weights, transposed: true, depth: n, columns: n, into: scratch, pool: pool)
    let working = scratch + PackedMatrix.count(depth: n, columns: n)
    let parts = min(pool.threadCount, max(shape.sequences, 1))
    pool.forEach(parts) { part, _ in
        let rows = evenPart(part, of: parts, count: shape.sequences)
        let recurrent = working + rows.lowerBound * n
        let h = lastHidden + rows.lowerBound * n
        copy(inputs.hidden.map { $0 + rows.lowerBound * n }, to: h, count: rows.count * n)
        for index in 0..<steps {
            let time = shape.time(index)
            weights.multiply(h, lda: n, rows: rows.count, into: recurrent, ldc: n, adds: false)
            for row in 0..<rows.count {
                let sequence = rows.lowerBound + row
                let at = (sequence * steps + time) * n
                guard time < shape.length(sequence, inputs.lengths) else {
                    (output + at).update(repeating: shape.filling(sequence, inputs.lengths), count: n)
                    continue
                }
                if gates + at != projections + at { (gates + at).update(from: projections + at, count: n) }
                vector.pointee.add_scaled(recurrent + row * n, gates + at, 1, Int64(n))
                activation.apply(gates + at, into: output + at, count: n)
                (h + row * n).update(from: output + at, count: n)
            }
        }
        shape.invalidate(lastHidden, rows: rows, lengths: inputs.lengths)
    }
}

/// Backpropagation through time of `elman`.
///
/// - Parameters:
///   - output, lastHidden: gradients that arrive at the outputs; zero where absent.
///   - projections: gradients of x W^T + b, [N, T, H], zero behind the end of a sequence; may be `gates`.
///   - hidden: gradient of the initial state, [N, H].
public func elmanGradient(
    _ activation: RecurrentActivation, _ shape: RecurrentShape, _ inputs: ElmanInputs, gates: UnsafePointer<Float>,
    output: UnsafePointer<Float>?, lastHidden: UnsafePointer<Float>?, projections: UnsafeMutablePointer<Float>,
    hidden: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    let (n, steps) = (shape.hidden, shape.steps)
    let weights = PackedMatrix(inputs.weights, transposed: false, depth: n, columns: n, into: scratch, pool: pool)
    let working = scratch + PackedMatrix.count(depth: n, columns: n)
    let spacing = shape.spacing(n)
    let parts = min(pool.threadCount, max(shape.sequences, 1))
    pool.forEach(parts) { part, _ in
        let rows = evenPart(part, of: parts, count: shape.sequences)
        let stepGradients = working + rows.lowerBound * spacing
        let spare = working + shape.sequences * spacing + 2 * part * n
        let dh = hidden + rows.lowerBound * n
        copy(lastHidden.map { $0 + rows.lowerBound * n }, to: dh, count: rows.count * n)
        for index in (0..<steps).reversed() {
            let time = shape.time(index)
            for row in 0..<rows.count {
                let sequence = rows.lowerBound + row
                let at = (sequence * steps + time) * n
                guard time < shape.length(sequence, inputs.lengths) else {
                    (projections + at).update(repeating: 0, count: n)
                    (stepGradients + row * spacing).update(repeating: 0, count: n)
                    continue
                }
                if let output { vector.pointee.add_scaled(output + at, dh + row * n, 1, Int64(n)) }
                activation.gradient(gates + at, dh + row * n, into: projections + at, count: n, scratch: spare)
                (stepGradients + row * spacing).update(from: projections + at, count: n)
                (dh + row * n).update(repeating: 0, count: n)
            }
            if index == 0, inputs.hidden == nil { continue }
            // Rows whose sequence has ended keep their gradient: what they add is zero.
            weights.multiply(stepGradients, lda: spacing, rows: rows.count, into: dh, ldc: n, adds: true)
        }
    }
}
