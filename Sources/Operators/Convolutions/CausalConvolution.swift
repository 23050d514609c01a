import Kernels
import TensorGraph

/// ONNX `CausalConvWithState`: every channel is convolved with its own kernel over the present and past positions, the
/// last of which are kept as a state.
enum CausalConvolution {
    static let all: [any OperatorPlugin] = [StandardOperator("CausalConvWithState", since: 27, expand: expand)]

    @Sendable
    private static func expand(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (x, weight) = (try node.input(0), try node.input(1))
        let (shape, weightShape) = (node.shape(x), node.shape(weight))
        guard shape.count == 3, weightShape.count == 3, weightShape[0] == shape[1], weightShape[1] == 1,
            weightShape[2] > 0
        else { throw .invalid("a weight of shape \(weightShape) does not fit an input of shape \(shape)") }
        let past = weightShape[2] - 1
        let extended: ValueID
        if let state = node.optionalInput(3) {
            guard node.shape(state) == [shape[0], shape[1], past] else {
                throw .invalid("a past_state of shape \(node.shape(state)) does not hold \(past) positions")
            }
            extended = past == 0 ? x : try node.builder.concatenate([state, x], axis: 2)
        } else {
            let padding = Padding(mode: nil, before: [0, 0, past], after: [0, 0, 0])
            extended = try node.emit(padding, x, node.scalar(0))
        }
        let geometry = ConvolutionGeometry(
            groups: shape[1], strides: [1], dilations: [1], padsBegin: [0], padsEnd: [0])
        var result = try node.emit(Convolution(geometry), extended, weight)
        if let bias = node.optionalInput(2) {
            result = try node.builder.add(result, try node.builder.view(bias, node.shape(bias) + [1]))
        }
        switch try node.string("activation") ?? "none" {
        case "none": break
        case "silu", "swish": result = try node.builder.unary(.silu, result)
        case let name: throw .invalid("activation '\(name)' is none of none, silu and swish")
        }
        guard node.names(output: 1) else { return [result] }
        return [result, try node.builder.slice(extended, axis: 2, shape[2]..<shape[2] + past)]
    }
}
