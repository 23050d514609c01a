import Kernels
import TensorGraph

/// ONNX `LpPool` and `GlobalLpPool`: (sum |x|^p)^(1/p) over each window.
enum NormPoolingOperators {
    static let all: [any OperatorPlugin] =
        [2, 11, 18, 22].map { StandardOperator("LpPool", since: $0, expand: lpPool) }
        + [2, 22].map { StandardOperator("GlobalLpPool", since: $0, expand: globalLpPool) }

    /// The sums are a convolution of every channel with ones.
    @Sendable
    private static func lpPool(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let (shape, window) = (node.shape(x), try PoolingOperators.geometry(node, x))
        let power = try node.int("p", default: 2)
        // With ceil_mode the last window reaches behind the pads.
        let ends = window.outSpatial.indices.map { axis in
            (window.outSpatial[axis] - 1) * window.strides[axis] + window.dilations[axis] * (window.kernel[axis] - 1)
                + 1
                - shape[axis + 2] - window.padsBegin[axis]
        }
        let sums = ConvolutionGeometry(
            groups: shape[1], strides: window.strides, dilations: window.dilations, padsBegin: window.padsBegin,
            padsEnd: ends.map { max(0, $0) })
        let ones = [Float](repeating: 1, count: shape[1] * window.kernel.elementCount)
        let weight = node.constant(Constant(ones, shape: [shape[1], 1] + window.kernel))
        let powers = try powers(of: x, power, in: &node)
        return [try root(of: try node.emit(Convolution(sums), powers, weight), power, in: &node)]
    }

    @Sendable
    private static func globalLpPool(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let axes = Array(try node.spatialShape(x).indices)
        let power = try node.int("p", default: 2)
        let sum = try node.builder.sum(try powers(of: x, power, in: &node), axes: axes, keepingAxes: true)
        return [try root(of: sum, power, in: &node)]
    }

    private static func powers(of x: ValueID, _ power: Int, in node: inout Expansion) throws(GraphError) -> ValueID {
        guard power > 0 else { throw .invalid("attribute 'p' = \(power) is not positive") }
        if power == 2 { return try node.builder.unary(.square, x) }
        let magnitude = try node.builder.unary(.abs, x)
        return power == 1 ? magnitude : try node.builder.binary(.pow, magnitude, node.scalar(Float(power)))
    }

    /// The root of a sum of powers, with slope 0 at 0, where the norm has no derivative.
    private static func root(of sum: ValueID, _ power: Int, in node: inout Expansion) throws(GraphError) -> ValueID {
        if power == 1 { return sum }
        let isZero = try node.builder.compare(.equal, sum, node.scalar(0))
        let positive = try node.builder.select(isZero, node.scalar(1), sum)
        let root =
            power == 2
            ? try node.builder.unary(.sqrt, positive)
            : try node.builder.binary(.pow, positive, node.scalar(1 / Float(power)))
        return try node.builder.select(isZero, node.scalar(0), root)
    }
}
