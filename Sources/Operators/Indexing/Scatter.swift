import Kernels
import TensorGraph

/// What the two scatters share: a copy of the data, then updates of `count` neighbouring elements one after the other.
enum Scatter {
    /// Changes `count` elements from `place` on by the updates from `source` on; by NaN if the place is a stand-in for
    /// an element that does not exist.
    typealias Update = (_ place: Int, _ source: Int, _ count: Int, _ isMissing: Bool) -> Void

    /// - Parameter walk: calls its second argument for every index.
    static func kernel(
        _ data: TensorType, _ reduction: ScatterReduction,
        walk: @escaping @Sendable (UnsafePointer<Int64>, Update) -> Void
    ) -> Kernel {
        let byteCount = data.byteCount
        let elementType = data.elementType
        return Kernel { arguments in
            arguments.outputs[0].copyMemory(from: arguments.inputs[0], byteCount: byteCount)
            switch elementType {
            case .float32:
                let out: UnsafeMutablePointer<Float> = arguments.output(0)
                let updates: UnsafePointer<Float> = arguments.input(2)
                walk(arguments.input(1)) { place, source, count, isMissing in
                    for i in 0..<count {
                        out[place + i] = isMissing ? .nan : reduction.combine(out[place + i], updates[source + i])
                    }
                }
            case .int64:
                let out: UnsafeMutablePointer<Int64> = arguments.output(0)
                let updates: UnsafePointer<Int64> = arguments.input(2)
                walk(arguments.input(1)) { place, source, count, isMissing in
                    if isMissing { return }
                    for i in 0..<count { out[place + i] = reduction.combine(out[place + i], updates[source + i]) }
                }
            case .bool, .float64:
                let size = elementType.size
                walk(arguments.input(1)) { place, source, count, isMissing in
                    if isMissing { return }
                    arguments.outputs[0].advanced(by: place * size)
                        .copyMemory(from: arguments.inputs[2] + source * size, byteCount: count * size)
                }
            }
        }
    }

    /// Only floats and integers can be combined.
    static func check(_ data: TensorType, _ reduction: ScatterReduction) throws(GraphError) {
        guard reduction == .none || data.elementType == .float32 || data.elementType == .int64 else {
            throw .unsupported("a scatter with reduction \(reduction) into \(data)")
        }
    }
}
