import Foundation
import TensorGraph

/// How `Resize` reads between the entries of an axis: which entries an output reads, and with which weights.
enum Interpolation: Equatable {
    case nearest(NearestRounding)
    case linear
    /// Cubic convolution (Keys 1981); `a` is the slope at distance 1.
    case cubic(a: Double)

    enum NearestRounding: String {
        case preferFloor = "round_prefer_floor"
        case preferCeil = "round_prefer_ceil"
        case floor
        case ceil
    }

    /// The entries that position `x` of an axis of `size` entries reads, and their weights, which sum to 1.
    ///
    /// - Parameters:
    ///   - scale: size of the output relative to the input.
    ///   - antialiases: whether the kernel widens where the output is smaller than the input.
    ///   - excludesOutside: whether entries beyond the ends get no weight; otherwise the last entry stands for them.
    func taps(at x: Double, size: Int, scale: Double, antialiases: Bool, excludesOutside: Bool)
        -> [(column: Int, weight: Float)]
    {
        if case .nearest(let rounding) = self {
            return [(min(max(rounding.entry(nearest: x), 0), size - 1), 1)]
        }
        let shrink = antialiases ? min(scale, 1) : 1
        let radius = (self == .linear ? 1 : 2) / shrink
        // At whole positions the entry itself and those on its right are in reach with weight 0 at most.
        let first = Int((x - radius).rounded(.down)) + 1
        let last = Int((x + radius).rounded(.up)) - 1
        var weights = (first...max(first, last)).map { weight(shrink * (Double($0) - x)) }
        if excludesOutside {
            for index in weights.indices where !(0..<size ~= first + index) { weights[index] = 0 }
        }
        let total = weights.reduce(0, +)
        return weights.enumerated().compactMap { index, weight in
            weight == 0 ? nil : (min(max(first + index, 0), size - 1), Float(weight / total))
        }
    }

    private func weight(_ distance: Double) -> Double {
        let d = distance.magnitude
        guard case .cubic(let a) = self else { return max(0, 1 - d) }
        if d <= 1 { return ((a + 2) * d - (a + 3)) * d * d + 1 }
        return d < 2 ? ((d - 5) * d + 8) * d * a - 4 * a : 0
    }
}

extension Interpolation.NearestRounding {
    func entry(nearest x: Double) -> Int {
        switch self {
        case .floor: Int(x.rounded(.down))
        case .ceil: Int(x.rounded(.up))
        case .preferFloor: Int((x - 0.5).rounded(.up))
        case .preferCeil: Int((x + 0.5).rounded(.down))
        }
    }
}

/// Where the entries of a resized axis lie in the input (ONNX `Resize`, `coordinate_transformation_mode`).
struct ResizedAxis {
    var mode: String
    var inputSize: Int
    var outputSize: Int
    /// Output size relative to the input's, before rounding to whole entries.
    var scale: Double
    /// Start and end of the region of interest, relative to the axis; read by `tf_crop_and_resize`.
    var region: (start: Double, end: Double) = (0, 1)

    /// The position in the input that output entry `index` reads.
    func position(_ index: Int) throws(GraphError) -> Double {
        let y = Double(index)
        let (input, output) = (Double(inputSize), scale * Double(inputSize))
        switch mode {
        case "half_pixel": return (y + 0.5) / scale - 0.5
        case "half_pixel_symmetric":
            return input / 2 * (1 - Double(outputSize) / output) + (y + 0.5) / scale - 0.5
        case "pytorch_half_pixel": return outputSize > 1 ? (y + 0.5) / scale - 0.5 : -0.5
        case "tf_half_pixel_for_nn": return (y + 0.5) / scale
        case "align_corners": return outputSize > 1 ? y * (input - 1) / (output - 1) : 0
        case "asymmetric": return y / scale
        case "tf_crop_and_resize":
            let length = (region.end - region.start) * (input - 1)
            return region.start * (input - 1) + (outputSize > 1 ? y * length / (output - 1) : length / 2)
        default: throw .invalid("coordinate_transformation_mode '\(mode)' does not exist")
        }
    }

    var isUnchanged: Bool {
        inputSize == outputSize && (scale - 1).magnitude < 1e-9 && region.start == 0 && region.end == 1
    }
}
