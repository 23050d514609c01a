import Kernels
import TensorGraph

/// How a pooling window slides, with `auto_pad` and `ceil_mode` resolved.
public struct PoolingGeometry: Hashable, Sendable, CustomStringConvertible {
    public let kernel: [Int]
    public let strides: [Int]
    public let dilations: [Int]
    public let padsBegin: [Int]
    public let padsEnd: [Int]
    /// Sizes of the output's spatial axes.
    public let outSpatial: [Int]

    public init(
        kernel: [Int], strides: [Int], dilations: [Int], padsBegin: [Int], padsEnd: [Int], outSpatial: [Int]
    ) {
        self.kernel = kernel
        self.strides = strides
        self.dilations = dilations
        self.padsBegin = padsBegin
        self.padsEnd = padsEnd
        self.outSpatial = outSpatial
    }

    public var description: String {
        "window \(kernel), strides \(strides), dilations \(dilations), pads \(padsBegin) \(padsEnd)"
    }

    /// The shape of the pooled x [N, C, spatial...].
    func outputShape(_ x: TensorType) throws(GraphError) -> [Int] {
        let spatial = x.rank - 2
        guard x.elementType == .float32, (1...3).contains(spatial) else {
            throw .unsupported("a pooling of \(x); float tensors with 1 to 3 spatial axes are implemented")
        }
        guard [kernel, strides, dilations, padsBegin, padsEnd, outSpatial].allSatisfy({ $0.count == spatial }) else {
            throw .invalid("the window of \(kernel.count) axes does not fit \(x)")
        }
        return x.shape[..<2] + outSpatial
    }

    func sizes(_ shape: [Int]) -> PoolingShape {
        PoolingShape(
            planes: shape[..<2].elementCount, inSpatial: Array(shape[2...]), kernel: kernel, strides: strides,
            dilations: dilations, padsBegin: padsBegin, padsEnd: padsEnd, outSpatial: outSpatial)
    }

    /// Samples may lie on the two axes over which no window slides.
    func batchFactor(_ x: BatchOperand) throws(BatchMixing) -> BatchFactor? {
        try BatchRules.along(Array(2..<x.type.rank), x, "pools")
    }

    /// Window elements of one run, for reports.
    func work(_ shape: [Int]) -> Double {
        Double(shape[..<2].elementCount) * Double(outSpatial.elementCount) * Double(kernel.elementCount)
    }
}
